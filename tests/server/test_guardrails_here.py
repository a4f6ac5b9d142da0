"""Guardrails of the stand-in: scores by words, blocks of inputs and answers, and moderation that fails."""

from __future__ import annotations

import pytest

from mistral_agents_server.guardrails import CATEGORIES, Moderator

from ..support.scripted import say

WORDS = {"violence_and_threats": ["bomb", "blow up"], "pii": ["passport number"]}
BLOCK = [{"moderation_llm_v2": {"action": "block"}}]
WATCH = [{"moderation_llm_v2": {"custom_category_thresholds": {"pii": 0.9}}}]


@pytest.fixture
def api(thinking):
    return thinking(guardrail_words=WORDS)


def decisions(reply, kind="moderation_llm_v2"):
    return reply["guardrails"][0]["results"][kind]["decisions"]


def test_scores_of_each_category_are_reported(api, scripted):
    scripted.script(say("The passport number is 7."))
    found = decisions(api.start("A bomb? Blow up what?", guardrails=WATCH))
    assert set(found) == set(CATEGORIES["moderation_llm_v2"])
    assert found["violence_and_threats"] == {"threshold": 0.5, "score": 0.91, "violated": True}
    assert found["pii"] == {"threshold": 0.9, "score": 0.7, "violated": False}
    assert found["health"]["score"] == 0


def test_words_are_found_whole_and_in_any_case():
    moderator = Moderator(WORDS)
    rule = [
        {
            "moderation_llm_v1": {
                "ignore_other_categories": True,
                "custom_category_thresholds": {"violence_and_threats": 0},
            }
        }
    ]

    def score(text):
        return moderator.check(rule, [text])[0]["results"]["moderation_llm_v1"]["decisions"]["violence_and_threats"][
            "score"
        ]

    assert [score(text) for text in ("BOMB!", "bombastic", "a-bomb", "")] == [0.7, 0, 0.7, 0]


def test_without_guardrails_nothing_is_reported(api, scripted):
    scripted.script(say("ok"))
    assert api.start("bomb")["guardrails"] is None


@pytest.mark.parametrize("stream", [False, True])
def test_an_input_that_violates_is_a_403_and_no_turn(api, scripted, stream):
    scripted.script(say("never"))
    body = {"inputs": "a bomb", "model": "m", "guardrails": BLOCK, "stream": stream}
    reply = api.send("POST", "/conversations", body)
    assert reply.status_code == 403
    assert reply.json()["error"] == {"message": "Content blocked by guardrail", "status": 403}
    result = reply.json()["guardrails"]["results"]["moderation_llm_v2"]
    assert (result["violated"], result["action"], result["model_name"]) == (True, "block", "mistral-moderation-2603")
    assert result["decisions"]["violence_and_threats"]["violated"]
    assert not scripted.requests


def test_an_answer_that_violates_is_not_stored(api, scripted):
    scripted.script(say("ok"), say("a bomb"), say("still here"))
    reply = api.start("q", guardrails=BLOCK)
    path = f"/conversations/{reply['conversation_id']}"
    assert api.send("POST", path, {"inputs": "more"}).status_code == 403
    assert len(api.history(reply["conversation_id"])) == 2
    assert api.append(reply["conversation_id"], "again")["outputs"][0]["content"] == "still here"


def test_an_answer_that_violates_ends_a_stream_with_an_error(api, scripted):
    scripted.script(say("a bomb"))
    last = api.events("/conversations", {"inputs": "q", "model": "m", "guardrails": BLOCK})[-1]
    assert (last["type"], last["code"]) == ("conversation.response.error", 403)
    assert "guardrail" in last["message"]


def test_agents_and_restarts_bring_their_guardrails(api, scripted):
    agent = api.ok("POST", "/agents", {"model": "m", "name": "a", "guardrails": BLOCK})
    assert api.send("POST", "/conversations", {"inputs": "bomb", "agent_id": agent["id"]}).status_code == 403
    scripted.script(say("ok"), say("ok"))
    reply = api.start("q", agent_id=agent["id"])
    place = f"/conversations/{reply['conversation_id']}"
    body = {"inputs": "bomb", "from_entry_id": reply["outputs"][0]["id"]}
    assert api.send("POST", f"{place}/restart", body).status_code == 403
    again = api.ok("POST", f"{place}/restart", {**body, "guardrails": WATCH})
    assert decisions(again)["violence_and_threats"]["violated"]
    assert "guardrails" not in api.ok("GET", f"/conversations/{again['conversation_id']}")


@pytest.mark.parametrize("blocks", [False, True])
def test_moderation_that_fails(api, scripted, blocks):
    scripted.script(say("ok"))
    rule = {"block_on_error": blocks, "moderation_llm_v2": {"model_name": "broken", "action": "block"}}
    reply = api.send("POST", "/conversations", {"inputs": "bomb", "model": "m", "guardrails": [rule]})
    assert (reply.status_code, reply.json().get("code")) == ((403, 3201) if blocks else (200, None))


def test_chat_is_guarded_too(api, scripted):
    scripted.script(say("fine"), say("a bomb"))
    body = {"model": "m", "messages": [{"role": "user", "content": "q"}], "guardrails": BLOCK}
    assert decisions(api.ok("POST", "/chat/completions", body))["violence_and_threats"]["score"] == 0
    assert api.send("POST", "/chat/completions", body).status_code == 403
    asked = [{"role": "user", "content": "bomb"}]
    assert api.send("POST", "/chat/completions", {**body, "messages": asked}).status_code == 403


def test_unknown_categories_are_refused_at_the_start():
    with pytest.raises(ValueError, match=r"'rudeness'.*violence_and_threats"):
        Moderator({"rudeness": ["x"]})


def test_a_rule_with_an_unknown_action_is_refused(api):
    rule = [{"moderation_llm_v2": {"action": "shout"}}]
    assert api.send("POST", "/conversations", {"inputs": "q", "model": "m", "guardrails": rule}).status_code == 422
