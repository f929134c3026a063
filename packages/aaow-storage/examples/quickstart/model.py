"""A stand-in for models and tools, where an engine calls real ones: a node gets the same answer every time."""

from decimal import Decimal
from random import Random

from attrs import frozen

from aaow_storage import JSONObject, TokenUsage
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


class ModelOverloadedError(Exception):
    """The provider refused the call for now."""


@frozen
class Answer:
    """What a model returned."""

    text: str
    usage: TokenUsage


@frozen
class Model:
    """A model and its prices, in USD for a million tokens."""

    name: str
    prompt_price: Decimal
    completion_price: Decimal

    def ask(self, node: Node, attempt: int) -> Answer:
        """Answer the prompt of a step; one step in ten meets a busy provider first.

        Raises:
            ModelOverloadedError: try again.
        """
        if attempt == 1 and _chance(node, "busy").random() < _BUSY:
            raise ModelOverloadedError("529 overloaded")
        return _answer(node)

    def cost(self, usage: TokenUsage) -> Decimal:
        """Return what a call cost, in USD, to the millionth."""
        price = usage.prompt_tokens * self.prompt_price + usage.completion_tokens * self.completion_price
        return (price / 1_000_000).quantize(Decimal("0.000001"))


_LARGE = Model("simulated-large", Decimal("3.00"), Decimal("15.00"))
_SMALL = Model("simulated-small", Decimal("0.25"), Decimal("1.25"))


def model_for(node: Node) -> Model:
    """Choose the model of a step: a small one is enough to choose the arguments of a tool."""
    return _LARGE if node.kind is NodeKind.LLM else _SMALL


def expected_cost(node: Node) -> Decimal:
    """Foresee what a step will cost, in USD; one that calls no model costs nothing."""
    return model_for(node).cost(_answer(node).usage) if node.kind in {NodeKind.LLM, NodeKind.TOOL} else Decimal(0)


def use_tool(node: Node, tool_name: str, args: JSONObject) -> JSONObject:
    """Return what a tool found."""
    chance = _chance(node, tool_name, args)
    return {"matches": chance.randrange(1, 40), "best": chance.choice(_SENTENCES), "score": round(chance.random(), 3)}


def stream(node: Node) -> list[str]:
    """Return what a stream step emits."""
    return _chance(node, "stream").sample(_SENTENCES, 3)


def _answer(node: Node) -> Answer:
    chance = _chance(node, "answer")
    prompt_tokens = len(node.prompt) // 4 + chance.randrange(900, 6_000)
    completion_tokens = chance.randrange(250, 2_400)
    usage = TokenUsage(
        prompt_tokens=prompt_tokens,
        completion_tokens=completion_tokens,
        total_tokens=prompt_tokens + completion_tokens,
    )
    return Answer(" ".join(chance.sample(_SENTENCES, 3)), usage)


def _chance(node: Node, *seeds: object) -> Random:
    """Return the same random numbers every time for the same node and purpose."""
    return Random("/".join([node.id, *map(str, seeds)]))  # noqa: S311 - nothing here is a secret
