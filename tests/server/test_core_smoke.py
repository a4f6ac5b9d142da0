from __future__ import annotations


def test_a_turn_through_the_client(client):
    turn = client.conversations.start("hello", model="mistral-small-latest")
    assert turn.text
    assert client.conversations.get(turn.conversation_id).id == turn.conversation_id
