"""Branches: the tree is read from metadata, and two of them are put side by side."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest

from mistral_agents import Conversation, MistralAgents
from mistral_agents.branches import acompare, compare, family
from mistral_agents.errors import ConfigurationError
from tests.support.scripted import say

MODEL = "mistral-small-latest"


def family_of_four(client):
    root = Conversation(client, model=MODEL, name="root")
    root.append("My name is Ada.")
    sql, nosql = root.branch(), root.branch()
    sql.append("We choose SQL.")
    nosql.append("We choose NoSQL.")
    deeper = sql.branch()
    deeper.append("We choose <PostgreSQL> & stay.")
    return root, sql, nosql, deeper


def test_the_tree_is_the_same_from_every_branch(client):
    root, sql, nosql, deeper = family_of_four(client)
    tree = root.tree()
    assert [(depth, branch.conversation_id) for depth, branch in tree.walk()] == [
        (0, root.id),
        (1, sql.id),
        (2, deeper.id),
        (1, nosql.id),
    ]
    assert tree.children[0].from_entry_id == root.history().last_entry_id
    assert tree.name == "root"
    assert str(deeper.tree()) == str(tree)
    assert str(tree).splitlines()[2].startswith("│  └─ " + deeper.id)


async def test_the_tree_is_drawn(client):
    root, *_ = family_of_four(client)
    drawing = (await root.atree()).to_svg()
    parsed = ElementTree.fromstring(drawing)
    kinds = [element.tag.rpartition("}")[2] for element in parsed]
    assert (kinds.count("circle"), kinds.count("path"), kinds.count("text")) == (4, 3, 4)


def test_a_deleted_parent_still_holds_its_branches_together(client):
    root, sql, nosql, _ = family_of_four(client)
    root.delete()
    tree = nosql.tree()
    assert (tree.conversation_id, tree.missing) == (root.id, True)
    assert [child.conversation_id for child in tree.children] == [sql.id, nosql.id]


def test_a_circle_of_parents_ends():
    one = {"id": "a", "metadata": {"mistral_agents_parent": "b"}}
    other = {"id": "b", "metadata": {"mistral_agents_parent": "a"}}
    assert [branch.conversation_id for _, branch in family("a", [one, other]).walk()] == ["b", "a"]


def test_a_tree_may_be_as_deep_as_it_likes():
    """A conversation that is compacted each day is a chain of hundreds; Python's stack was its limit."""
    infos = [{"id": "c0"}]
    infos += [{"id": f"c{n}", "metadata": {"mistral_agents_parent": f"c{n - 1}"}} for n in range(1, 1500)]
    tree = family("c700", infos)
    assert [depth for depth, _ in tree.walk()] == [*range(1500)]
    assert str(tree).splitlines()[-1].endswith("└─ c1499")
    assert "c1499" in tree.to_svg()


async def test_branches_are_compared(client):
    _, sql, nosql, _ = family_of_four(client)
    found = compare(sql, nosql)
    assert found.shared[0].text == "My name is Ada."
    assert len(found.shared) == 2
    assert (found.left[0].text, found.right[0].text) == ("We choose SQL.", "We choose NoSQL.")
    assert (await acompare(sql, nosql)) == found
    lines = str(found).splitlines()
    assert lines[0] == "shared: 2 entries"
    assert any("We choose SQL." in line and "We choose NoSQL." in line for line in lines)
    assert all(len(line) <= 100 for line in lines)


def test_a_conversation_equals_itself(client):
    root = Conversation(client, model=MODEL)
    root.append("My name is Ada.")
    found = compare(root, Conversation(client, root.id))
    assert (len(found.shared), found.left, found.right) == (2, [], [])


async def test_an_answer_is_made_again_in_a_branch(standin_factory, scripted):
    server = standin_factory(model_url=scripted.url)
    with MistralAgents(api_key="k", base_url=server.base_url, max_retries=0) as talker:
        scripted.script(say("one"), say("two"), say("three"))
        talk = Conversation(talker, model="m")
        talk.append("Say something.")
        again = talk.regenerate()
        assert (again.last_turn.text, again.id != talk.id) == ("two", True)
        assert (await again.aregenerate()).last_turn.text == "three"
        assert [entry.type for entry in again.history().entries] == ["message.input", "message.output"]
        assert talk.history().entries[-1].text == "one", "the conversation stays as it is"
        assert talk.tree().children[0].conversation_id == again.id
        sent = [seen.json for seen in server.faults.requests if seen.path.endswith("/restart")]
        assert all("inputs" not in body for body in sent)
        await talker.aclose()


def test_nothing_is_made_again_where_nothing_was_said(client):
    with pytest.raises(ConfigurationError):
        Conversation(client, model=MODEL).regenerate()
