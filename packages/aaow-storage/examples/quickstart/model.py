"""A stand-in for the models and tools that an engine calls; a node gets the same answer in every run."""

from decimal import Decimal
from random import Random

from attrs import frozen

from aaow_storage import JSON, JSONObject, TokenUsage
from definition import Node, NodeKind

_SENTENCES = (
    "Most sources agree on the direction and differ on the size of the effect.",
    "The three largest studies measured it in the field, over two winters.",
    "Two of the figures come from the same data set and count once.",
    "The laboratory values are a fifth higher than those measured in houses.",
    "Nothing in the material contradicts the second claim.",
    "One number has no source and should be left out.",
    "The newest report corrects the table that the others quote.",
    "For the audience, the cost per household matters more than the ratio.",
)
_BUSY = 0.1

PROVIDER = "simulated"
CURRENCY = "USD"


class ModelOverloadedError(Exception):
    """The provider is overloaded, and refused the call."""


@frozen
class Answer:
    """The answer of a model."""

    text: str
    usage: TokenUsage
    finish_reason: str = "stop"


@frozen
class Model:
    """A model and its prices, in USD for a million tokens; tokens that are read from a cache cost a tenth."""

    name: str
    prompt_price: Decimal
    completion_price: Decimal

    def ask(self, node: Node, attempt: int) -> Answer:
        """Answer the prompt of a step; for one step in ten the provider is overloaded at first.

        Raises:
            ModelOverloadedError: the provider is overloaded; another attempt succeeds.
        """
        if attempt == 1 and _chance(node, "busy").random() < _BUSY:
            raise ModelOverloadedError("529 overloaded")
        return _answer(node)

    def cost(self, usage: TokenUsage) -> Decimal:
        """Return what a call cost, in USD, to the millionth."""
        cached_tokens = usage.cache_read_tokens or 0
        prompt_tokens = usage.prompt_tokens - cached_tokens + cached_tokens / Decimal(10)
        price = prompt_tokens * self.prompt_price + usage.completion_tokens * self.completion_price
        return (price / 1_000_000).quantize(Decimal("0.000001"))


_LARGE = Model("simulated-large", Decimal("3.00"), Decimal("15.00"))
_SMALL = Model("simulated-small", Decimal("0.25"), Decimal("1.25"))


def model_for(node: Node) -> Model:
    """Return the model of a step: the small one if it only chooses the arguments of a tool."""
    return _LARGE if node.kind is NodeKind.LLM else _SMALL


def messages_for(node: Node) -> list[JSON]:
    """Return what a step sends to its model."""
    return [
        {"role": "system", "content": f"You are the step {node.name!r} of a workflow."},
        {"role": "user", "content": node.prompt},
    ]


def expected_cost(node: Node) -> Decimal:
    """Return what a step will cost, in USD: 0 if it calls no model."""
    return model_for(node).cost(_answer(node).usage) if node.kind in {NodeKind.LLM, NodeKind.TOOL} else Decimal(0)


def use_tool(node: Node, tool_name: str, args: JSONObject) -> JSONObject:
    """Return the result of a tool."""
    chance = _chance(node, tool_name, args)
    return {"matches": chance.randrange(1, 40), "best": chance.choice(_SENTENCES), "score": round(chance.random(), 3)}


def stream(node: Node) -> list[str]:
    """Return the items that a stream step emits."""
    return _chance(node, "stream").sample(_SENTENCES, 3)


def _answer(node: Node) -> Answer:
    chance = _chance(node, "answer")
    prompt_tokens = len(node.prompt) // 4 + chance.randrange(900, 6_000)
    completion_tokens = chance.randrange(250, 2_400)
    usage = TokenUsage(
        prompt_tokens=prompt_tokens,
        completion_tokens=completion_tokens,
        total_tokens=prompt_tokens + completion_tokens,
        cache_read_tokens=chance.randrange(0, prompt_tokens // 2),
        reasoning_tokens=chance.randrange(0, completion_tokens // 2),
    )
    return Answer(" ".join(chance.sample(_SENTENCES, 3)), usage)


def _chance(node: Node, *seeds: object) -> Random:
    """Return a generator of random numbers that are the same in every run, for the same node and purpose."""
    return Random("/".join([node.id, *map(str, seeds)]))  # noqa: S311 - nothing here is a secret
