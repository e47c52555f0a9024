"""Download the weights and videos of an evaluation that are not there yet; predict nothing.

Takes the options of ``vidbench evaluate``; without an ``@file``, those in the file CONFIG_FILE.
"""

if __name__ == "__main__":
    import os
    import shlex
    import sys

    from vidbench.cli.arguments import parse_config
    from vidbench.config.label_matching import match_labels
    from vidbench.config.opening import open_dataset
    from vidbench.engines.open_scorer import check_model
    from vidbench.errors import VidbenchError
    from vidbench.terminal.logs import set_up_logging

    arguments = sys.argv[1:]
    if arguments[:1] == ["-f"]:  # a Jupyter kernel's arguments; the job's are in a variable
        arguments = shlex.split(os.environ.get("JOB_ARGUMENTS", ""))
    if not any(word.startswith("@") for word in arguments):
        arguments.append(f"@{os.environ.get('CONFIG_FILE') or 'scripts/config.txt'}")

    try:
        config = parse_config(arguments)
        set_up_logging(verbose=config.verbose_logging)
        model = check_model(config).model
        dataset = open_dataset(config)
        labels = match_labels(config, model, dataset)
        records = dataset.fetch(config.num_videos, labels.classes if config.classes else None)[0]
    except VidbenchError as error:
        print(f"vidbench: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    on_disk = sum(record.path is not None for record in records)
    print(f"{on_disk} of {len(records)} videos of {dataset.name} are in {config.data_dir}")
