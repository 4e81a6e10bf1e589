"""The child process that runs users' SQL: `python -m innkeeper.lake.sql_child`.

It reads one `Job` as JSON from its standard input and writes one `Outcome` as JSON to its standard
output. `lake/sql_process.py` starts it and kills it when it takes too long.
"""

import sys

import msgspec

from innkeeper.errors import Invalid, Unavailable
from innkeeper.lake.sql_jobs import Job, Outcome, decode_job
from innkeeper.store.process_limits import limit_memory, limit_process


def main() -> None:
    """Run one job within its limits."""
    job = decode_job(sys.stdin.buffer.read())
    limit_process(job.parent, job.cpu_seconds)
    sys.stdout.buffer.write(msgspec.json.encode(run(job)))


def run(job: Job) -> Outcome:
    """Check the text, or carry out the job on its lake."""
    # Loaded before the limit is set, so that the memory of their code does not count.
    import duckdb  # noqa: F401, PLC0415

    from innkeeper.lake import sandboxed_sql  # noqa: PLC0415
    from innkeeper.lake.sql_allowlist import bound, checked  # noqa: PLC0415

    limit_memory(job.memory_mb)
    outcome = Outcome()
    try:
        if job.lake is None:
            bound(checked(job.text), job.text)
        elif job.task == "explain":
            outcome.steps = sandboxed_sql.explain(job.lake, job.text)
        elif job.task == "samples":
            outcome.samples = sandboxed_sql.read_samples(job.lake)
        else:
            outcome.rows = sandboxed_sql.write_members(job.lake, job.text)
        return outcome
    except Invalid as invalid:
        problem = invalid.problems[0]
        return Outcome(reason=problem.reason, position=problem.position)
    except Unavailable as error:
        return Outcome(unavailable=error.message)
    except MemoryError:
        return Outcome(exceeded="memory")


if __name__ == "__main__":
    main()
