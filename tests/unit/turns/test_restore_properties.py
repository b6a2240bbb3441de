"""Whatever happens to a conversation: what is sent is legal, and nothing legal is given away."""

import copy
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from gateway import wire
from gateway.protocols.messages_form import text_block
from tests.support.pure_session import PureSession, model_named

BOUND, ALSO_BOUND, OLDER = "claude-sonnet-5-5", "claude-haiku-5-5", "claude-opus-4-6"

SHAPES = st.sampled_from(["tc", "txc", "tcc", "x", "xc", "tx", "rx", "rtc", "txtx", "txtc", "c"])
STEPS = st.lists(
    st.tuples(
        st.sampled_from(
            ["turn"] * 8
            + ["unstored", "instructed", "lose", "find", "edit_user", "edit_answer", "cut", "fork"]
            + ["system", "model", "retry", "trim"]
        ),
        SHAPES,
        st.integers(0, 50),
    ),
    min_size=1,
    max_size=25,
)


class Story:
    """A session to which things happen; every request is checked."""

    def __init__(self, model: str, *, carries: bool = False) -> None:
        self.session = PureSession(model=model, carries=carries)
        self.lost: dict[str, object] = {}

    def happen(self, what: str, shape: str, number: int) -> None:
        getattr(self, what, self.turn)(shape, number)

    def turn(self, shape: str, number: int) -> None:
        self.session.turn(shape, text=f"task {number}")

    def instructed(self, shape: str, number: int) -> None:
        self.session.turn(shape, text=f"task {number}", instruction="Do it now.")

    def unstored(self, shape: str, number: int) -> None:
        before = dict(self.session.stored)
        self.session.turn(shape, text=f"task {number}")
        self.session.stored = before

    def lose(self, shape: str, number: int) -> None:
        keys = sorted(self.session.stored)
        if keys:
            key = keys[number % len(keys)]
            self.lost[key] = self.session.stored.pop(key)

    def find(self, shape: str, number: int) -> None:
        self.session.stored = {**self.lost, **self.session.stored}  # type: ignore[dict-item]

    def edit_user(self, shape: str, number: int) -> None:
        asked = [m for m in self.session.messages if m["content"][0]["type"] == "text"]
        asked = [message for message in asked if message["role"] == "user"]
        if asked:
            asked[number % len(asked)]["content"] = [text_block(f"edited {number}")]

    def edit_answer(self, shape: str, number: int) -> None:
        said = [m for m in self.session.messages if m["role"] == "assistant"]
        if said:
            message = said[number % len(said)]
            calls = [block for block in message["content"] if block["type"] == "tool_use"]
            message["content"] = [text_block(f"edited {number}"), *calls]

    def cut(self, shape: str, number: int) -> None:
        """The client forgets its oldest exchanges, up to a question of its user."""
        messages = self.session.messages
        starts = [
            index
            for index, message in enumerate(messages)
            if message["role"] == "user" and message["content"][0]["type"] == "text"
        ]
        if starts:
            self.session.messages = messages[starts[number % len(starts)] :]

    def fork(self, shape: str, number: int) -> None:
        """The client goes back to an earlier place and on from there."""
        ends = [i for i, m in enumerate(self.session.messages) if m["role"] == "assistant"]
        if ends:
            kept = self.session.messages[: ends[number % len(ends)] + 1]
            self.session = replace(self.session, messages=copy.deepcopy(kept))

    def system(self, shape: str, number: int) -> None:
        self.session.system = f"You are agent {number % 3}."

    def model(self, shape: str, number: int) -> None:
        self.session.model = (BOUND, ALSO_BOUND, OLDER)[number % 3]

    def retry(self, shape: str, number: int) -> None:
        """The client sends the same request again and gets another answer."""
        if self.session.messages and self.session.messages[-1]["role"] == "assistant":
            self.session.messages.pop()
            if self.session.messages:
                self.session.send()
                assert self.session.faults() == []
                self.session.answer(shape)

    def trim(self, shape: str, number: int) -> None:
        for message in self.session.messages:
            if message["role"] == "assistant":
                for block in message["content"]:
                    if block["type"] == "text":
                        block["text"] = block["text"].strip() + "\n"


@settings(max_examples=250, deadline=None)
@given(st.sampled_from([BOUND, ALSO_BOUND, OLDER]), STEPS)
def test_no_request_has_thinking_the_api_would_refuse(
    model: str, steps: list[tuple[str, str, int]]
) -> None:
    story = Story(model)
    for step in steps:
        story.happen(*step)
    story.session.turn("x", text="the end")


@settings(max_examples=200, deadline=None)
@given(STEPS, st.booleans())
def test_sealed_thinking_of_the_client_is_only_sent_where_it_was_made(
    steps: list[tuple[str, str, int]], stores: bool
) -> None:
    """The store may have everything or nothing; seals tell what each block was made from."""
    story = Story(BOUND, carries=True)
    story.session.seals = {}
    for what, shape, number in steps:
        if not stores:
            story.session.stored.clear()
        # A seal names its model, and what another model made is left out in the translation.
        story.happen("turn" if what == "model" else what, _leading(shape), number)
    story.session.turn("x", text="the end")


@settings(max_examples=100, deadline=None)
@given(st.lists(SHAPES, min_size=1, max_size=15))
def test_sealed_thinking_needs_no_store(shapes: list[str]) -> None:
    story = Story(BOUND, carries=True)
    story.session.seals = {}
    for number, shape in enumerate(shapes):
        story.session.stored.clear()
        story.happen("turn", _leading(shape), number)
    story.session.stored.clear()
    story.session.turn("x", text="the end")
    assert len(story.session.thinking()) == len(story.session.api.made)


def _leading(shape: str) -> str:
    """The shape with all thinking first, where a chat client's history has it."""
    return "".join(sorted(shape, key=lambda letter: letter not in "tr"))[:3].replace("xx", "x")


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(SHAPES, st.booleans()), min_size=1, max_size=20))
def test_an_undisturbed_conversation_keeps_all_of_its_thinking(
    turns: list[tuple[str, bool]],
) -> None:
    story = Story(BOUND)
    for number, (shape, instructed) in enumerate(turns):
        story.happen("instructed" if instructed else "turn", shape, number)
    story.session.turn("x", text="the end")
    assert len(story.session.thinking()) == len(story.session.api.made)


def shouted(text: str, _: int) -> str:
    """A pass that gives each text the same other one in every request."""
    return text.upper()


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from([BOUND, OLDER]),
    STEPS,
    st.lists(st.integers(0, 20), max_size=25),
)
def test_passes_may_rewrite_what_they_like_and_thinking_stays_legal(
    model: str, steps: list[tuple[str, str, int]], changes: list[int]
) -> None:
    """Each change has the pass treat one message more in another way, from then on."""
    story = Story(model)
    otherwise: set[int] = set()
    story.session.rewrite = lambda text, message: (
        f"<{text}>" if message in otherwise else text.upper()
    )
    for number, step in enumerate(steps):
        if number % 3 == 2 and changes:
            otherwise.add(changes.pop())
        story.happen(*step)
    story.session.turn("x", text="the end")


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(SHAPES, st.booleans()), min_size=1, max_size=20))
def test_a_conversation_rewritten_in_the_same_way_keeps_all_of_its_thinking(
    turns: list[tuple[str, bool]],
) -> None:
    story = Story(BOUND)
    story.session.rewrite = shouted
    for number, (shape, instructed) in enumerate(turns):
        story.happen("instructed" if instructed else "turn", shape, number)
    story.session.turn("x", text="the end")
    assert len(story.session.thinking()) == len(story.session.api.made)
    told = [
        block["text"]
        for message in story.session.bodies[-1]["messages"]
        if message["role"] == "user"
        for block in message["content"]
        if block["type"] == "text"
    ]
    assert {text for text in told if not text.isupper()} <= {"Do it now."}


@settings(max_examples=100, deadline=None)
@given(STEPS, st.lists(SHAPES, min_size=1, max_size=5))
def test_what_was_sent_once_is_sent_again_in_the_same_bytes(
    steps: list[tuple[str, str, int]], shapes: list[str]
) -> None:
    """After any past, with nothing happening any more, each request begins with the one before."""
    story = Story(BOUND)
    for step in steps:
        story.happen(*step)
    session = story.session
    session.turn("tx", text="from here on nothing is disturbed")
    for shape in shapes:
        earlier = session.bodies[-1]["messages"]
        before = len(session.thinking())
        session.turn(shape, text="go on")
        later = session.bodies[-1]["messages"]
        assert wire.dumps(later[: len(earlier)]) == wire.dumps(earlier)
        assert len(session.thinking()) >= before


@settings(max_examples=150, deadline=None)
@given(STEPS)
def test_a_tool_loop_of_an_older_model_has_all_of_its_thinking_or_none(
    steps: list[tuple[str, str, int]],
) -> None:
    story = Story(OLDER)
    for step in steps:
        if step[0] != "model":
            story.happen(*step)
    session = story.session
    session.turn("x", text="the end")
    assert model_named(OLDER).preserved_thinking is False
    made_with_thinking = {
        key for key, turn in session.stored.items() if turn.content and _thinks(turn.content)
    }
    put_back = {
        session.sendings[-1].restored.history.places[each.ordinal].key
        for each in session.sendings[-1].restored.put_back
    }
    for loop in _loops(session):
        thinking = [key for key in loop if key in made_with_thinking]
        assert {key in put_back for key in thinking} in (set(), {True}, {False})


def _thinks(content: list[dict[str, object]]) -> bool:
    return any(block["type"] in ("thinking", "redacted_thinking") for block in content)


def _loops(session: PureSession) -> list[list[str]]:
    loops: list[list[str]] = []
    for place in session.sendings[-1].restored.history.places:
        if place.opens or not loops:
            loops.append([])
        loops[-1].append(place.key)
    return loops
