"""Messages of protocol buffers by the few of their fields that are needed, without their library.

Fields that are not named are kept as they are and cost no more than their bytes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

Fields = Mapping[str, Sequence[tuple[str, int, str, bool]]]
"""By message: each field's name, number, type (or message), and whether it is repeated."""


def message_classes(package: str, fields: Fields) -> dict[str, Any]:
    """A class for each of the messages, by its name; ``FromString`` reads bytes.

    Args:
        package: A name that no other messages here have.
        fields: What is known of them.
    """
    file = descriptor_pb2.FileDescriptorProto(name=f"{package}.proto", package=package)
    file.syntax = "proto3"
    for message, described_fields in fields.items():
        described = file.message_type.add(name=message)
        for name, number, kind, repeated in described_fields:
            field = described.field.add(name=name, number=number)
            field.label = field.LABEL_REPEATED if repeated else field.LABEL_OPTIONAL
            if kind in fields:
                field.type, field.type_name = field.TYPE_MESSAGE, f".{package}.{kind}"
            else:
                field.type = getattr(field, f"TYPE_{kind.upper()}")
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return {
        name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{package}.{name}"))
        for name in fields
    }
