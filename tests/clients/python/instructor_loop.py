# mypy: ignore-errors
# Its packages are in an environment of its own, and so are their types.
"""instructor: an answer that fails validation is asked for again with the reason."""

import instructor
from openai import OpenAI
from pydantic import BaseModel, field_validator
from workspace_tools import API_KEY, BASE_URL, MODEL, PROMPT, answer


class Animal(BaseModel):
    name: str
    legs: int

    @field_validator("legs")
    @classmethod
    def even(cls, legs: int) -> int:
        if legs % 2:
            raise ValueError("animals have an even number of legs")
        return legs


openai = OpenAI(base_url=f"{BASE_URL}/v1", api_key=API_KEY, max_retries=0)
client = instructor.from_openai(openai)
messages = [{"role": "user", "content": PROMPT}]
animal = client.chat.completions.create(
    model=MODEL, response_model=Animal, messages=messages, max_retries=2
)
answer(f"{animal.name} {animal.legs}")
