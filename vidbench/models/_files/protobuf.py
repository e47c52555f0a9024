"""Messages of protocol buffers by the few of their fields that are needed, without their library.

Fields that are not named are kept as they are and cost no more than their bytes.
"""

from __future__ import annotations

from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory


def message_classes(package: str, fields: str) -> dict[str, Any]:
    """A class for each of the messages, by its name; ``FromString`` reads bytes.

    Args:
        package: A name that no other messages here have.
        fields: A line for each message, ``Message: type name number, type* name number``. The star
            marks a repeated field, and a type may be another message.
    """
    lines = dict(line.split(": ") for line in fields.strip().splitlines())
    file = descriptor_pb2.FileDescriptorProto(name=f"{package}.proto", package=package)
    file.syntax = "proto3"
    for message, described_fields in lines.items():
        described = file.message_type.add(name=message)
        for kind, name, number in map(str.split, described_fields.split(", ")):
            field = described.field.add(name=name, number=int(number))
            field.label = field.LABEL_REPEATED if kind.endswith("*") else field.LABEL_OPTIONAL
            kind = kind.removesuffix("*")
            if kind in lines:
                field.type, field.type_name = field.TYPE_MESSAGE, f".{package}.{kind}"
            else:
                field.type = getattr(field, f"TYPE_{kind.upper()}")
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return {
        name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{package}.{name}"))
        for name in lines
    }
