"""Says whether a run that several processes wrote to is still one run."""

from job.checkpoints.examine import commit_of, damage_of, entries_of, read_run
from job.run.verify_resume.compare import compare, last_contents
from job.storage.object_store import ObjectStore


def check_one_lineage(store: ObjectStore, *, undisturbed: ObjectStore) -> None:
    """The run is one run, and ended like the one that nobody disturbed."""
    run = read_run(store)
    assert run.head.status == "completed"
    for entry in entries_of(run.head):
        assert commit_of(store, entry, run=run).lineage == run.identity.lineage
        assert damage_of(store, entry, run=run) == ""
    assert compare(last_contents(undisturbed), last_contents(store)).differences == []
    for name in ("history.json", "quarantine.json"):
        assert store.read(name).data == undisturbed.read(name).data
