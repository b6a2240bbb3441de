"""Repair of the histories clients keep, case by case."""

from typing import Any

from gateway.protocols.history_repair import NO_RESULT, Call, History

ERROR = [{"type": "text", "text": NO_RESULT}]


def text(value: str) -> dict[str, Any]:
    return {"type": "text", "text": value}


def call(client_id: str, name: str = "f") -> Call:
    return Call(client_id, name, {"name": name, "input": {}})


def content(value: str) -> dict[str, Any]:
    return {"content": [text(value)]}


def outline(history: History) -> list[tuple[str, list[str]]]:
    """Roles with their blocks in short: text, use:<id>, result:<id>=<text>."""
    return [
        (message["role"], [_short(block) for block in message["content"]])
        for message in history.finish()
    ]


def _short(block: dict[str, Any]) -> str:
    if block["type"] == "tool_use":
        return f"use:{block['id']}"
    if block["type"] == "tool_result":
        inside = "ERROR" if block.get("content") == ERROR else block["content"][0]["text"]
        return f"result:{block['tool_use_id']}={inside}"
    return str(block["text"])


def asked() -> History:
    history = History()
    history.add_user([text("hi")])
    return history


def test_parallel_results_come_in_one_message_in_the_order_of_the_calls() -> None:
    history = asked()
    history.add_assistant([], [call("a"), call("b"), call("c")])
    history.add_result("c", content("3"))
    history.add_user([text("and")])
    history.add_result("a", content("1"))
    history.add_result("b", content("2"))
    assert outline(history)[1:] == [
        ("assistant", ["use:a", "use:b", "use:c"]),
        ("user", ["result:a=1", "result:b=2", "result:c=3", "and"]),
    ]


def test_an_unanswered_call_gets_an_error_result() -> None:
    history = asked()
    history.add_assistant([], [call("a")])
    history.add_user([text("stop that")])
    assert outline(history)[1:] == [
        ("assistant", ["use:a"]),
        ("user", ["result:a=ERROR", "stop that"]),
    ]
    assert history.finish()[2]["content"][0]["is_error"] is True


def test_calls_at_the_very_end_are_answered_too() -> None:
    history = asked()
    history.add_assistant([text("x")], [call("a")])
    assert outline(history)[1:] == [
        ("assistant", ["x", "use:a"]),
        ("user", ["result:a=ERROR"]),
    ]


def test_a_result_without_a_call_becomes_text() -> None:
    history = asked()
    history.add_result("zzz", content("42"))
    history.add_result("zzz", content("43"), name="add")
    history.add_result("", {})
    assert outline(history) == [
        (
            "user",
            [
                "hi",
                "[tool result for zzz] 42",
                "[tool result for add] 43",
                "[tool result for an unknown call]",
            ],
        )
    ]


def test_a_late_result_becomes_text_where_it_stands() -> None:
    """Its place was filled in the request before, and stays as it was sent."""
    history = asked()
    history.add_assistant([], [call("a", "read")])
    history.add_user([text("well?")])
    history.add_assistant([text("sorry")], [])
    history.add_result("a", content("late"))
    assert outline(history)[2:] == [
        ("user", ["result:a=ERROR", "well?"]),
        ("assistant", ["sorry"]),
        ("user", ["[tool result for read] late"]),
    ]


def test_of_two_results_for_one_call_the_last_wins() -> None:
    history = asked()
    history.add_assistant([], [call("a")])
    history.add_result("a", content("old"))
    history.add_result("a", content("new"))
    assert outline(history)[-1] == ("user", ["result:a=new"])


def test_an_id_used_again_gets_a_suffix_and_its_own_result() -> None:
    history = asked()
    history.add_assistant([], [call("a")])
    history.add_result("a", content("1"))
    history.add_assistant([], [call("a"), call("a")])
    history.add_result("a", content("2"))
    history.add_result("a", content("3"))
    assert outline(history)[1:] == [
        ("assistant", ["use:a"]),
        ("user", ["result:a=1"]),
        ("assistant", ["use:a_2", "use:a_3"]),
        ("user", ["result:a_2=2", "result:a_3=3"]),
    ]


def test_calls_and_results_without_ids_are_paired_in_order() -> None:
    history = asked()
    history.add_assistant([], [call(""), call("")])
    history.add_result("", content("1"))
    history.add_result("", content("2"))
    assert outline(history)[-1] == ("user", ["result:call_0=1", "result:call_1=2"])


def test_legacy_results_go_to_the_last_open_call_of_the_name() -> None:
    history = asked()
    history.add_assistant([], [call("", "f"), call("", "g")])
    history.add_function_result("f", content("1"))
    history.add_function_result("h", content("?"))
    assert outline(history)[-1] == (
        "user",
        ["result:call_0=1", "result:call_1=ERROR", "[tool result for h] ?"],
    )


def test_consecutive_assistant_messages_become_one_with_calls_last() -> None:
    history = asked()
    history.add_assistant([], [call("a")])
    history.add_assistant([text("and")], [call("b")])
    history.add_result("a", content("1"))
    history.add_result("b", content("2"))
    assert outline(history)[1] == ("assistant", ["and", "use:a", "use:b"])


def test_a_history_that_begins_with_the_assistant_gets_a_start() -> None:
    history = History()
    history.add_assistant([text("welcome")], [])
    history.add_user([text("hi")])
    assert [role for role, _ in outline(history)] == ["user", "assistant", "user"]


def test_an_empty_user_message_between_answers_keeps_them_apart() -> None:
    history = asked()
    history.add_assistant([text("one")], [])
    history.add_user([])
    history.add_assistant([text("two")], [])
    history.add_user([text("x")])
    assert outline(history)[1:] == [
        ("assistant", ["one"]),
        ("user", ["Continue."]),
        ("assistant", ["two"]),
        ("user", ["x"]),
    ]


def test_an_empty_answer_vanishes_but_closes_its_round() -> None:
    history = asked()
    history.add_assistant([], [call("a")])
    history.add_user([text("x")])
    history.add_assistant([], [])
    history.add_result("a", content("late"))
    assert outline(history)[2:] == [
        ("user", ["result:a=ERROR", "x", "[tool result for f] late"]),
    ]


def test_a_late_system_message_goes_behind_the_users_part_of_its_round() -> None:
    history = asked()
    history.add_assistant([], [call("a")])
    history.add_system([text("rule")])
    history.add_result("a", content("1"))
    history.add_user([text("x")])
    history.add_assistant([text("ok")], [])
    history.add_user([text("y")])
    assert outline(history)[2:] == [
        ("user", ["result:a=1", "x"]),
        ("system", ["rule"]),
        ("assistant", ["ok"]),
        ("user", ["y"]),
    ]


def test_a_system_message_alone_after_an_answer_gets_a_user_turn_to_follow() -> None:
    history = asked()
    history.add_assistant([text("ok")], [])
    history.add_system([text("rule")])
    assert outline(history)[2:] == [("user", ["Continue."]), ("system", ["rule"])]


def test_a_user_message_never_follows_a_system_message_directly() -> None:
    history = asked()
    history.add_system([text("rule")])
    history.add_assistant([], [])
    history.add_user([text("x")])
    assert [role for role, _ in outline(history)] == ["user", "system", "assistant", "user"]


def test_a_text_of_the_assistant_at_the_end_stays_last() -> None:
    history = asked()
    history.add_assistant([text("The answer is")], [])
    assert outline(history)[-1] == ("assistant", ["The answer is"])


def test_thousands_of_calls_with_one_id_are_repaired_in_linear_time() -> None:
    """A search for each of them would run into the test's time-out."""
    many = 60_000
    history = asked()
    history.add_assistant([], [call("a") for _ in range(many)])
    for number in range(many):
        history.add_result("a", content(str(number)))
    history.add_result("a", content("again"))
    calls, results = history.finish()[1:]
    assert len({block["id"] for block in calls["content"]}) == many
    assert results["content"][-1]["content"] == [text("again")]
    assert results["content"][0]["content"] == [text("0")]
