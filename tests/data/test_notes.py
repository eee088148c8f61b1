from __future__ import annotations

from runner.data.notes import Note, Notes, merged, note_of


def test_notes_are_counted_with_their_first_example() -> None:
    notes = Notes()
    notes.add("changed", "boxes clipped", "a.xml")
    notes.add("changed", "boxes clipped", "b.xml", 1200)
    notes.add("left out", "boxes without area", "c.xml", 0)
    notes.add("read", "XML files", "a.xml", 3)
    notes.say("split at random")
    assert [str(note) for note in notes.listed()] == [
        "read: XML files: 3, e.g. a.xml",
        "changed: boxes clipped: 1,201, e.g. a.xml",
        "note: split at random",
    ]


def test_notes_of_earlier_manifests_and_order_of_kinds() -> None:
    assert note_of("a sentence") == Note("note", "a sentence")
    note = Note("left out", "images", 2, "a.jpg")
    assert note_of({"kind": "left out", "what": "images", "count": 2, "example": "a.jpg"}) == note
    assert merged([Note("note", "x")], [note]) == (note, Note("note", "x"))
