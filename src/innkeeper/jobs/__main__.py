"""The job worker as a process of its own: `python -m innkeeper.jobs`."""

from innkeeper.jobs.worker import main

main()
