"""The models that agents can be made of."""

from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response

from agents.core.model import ModelInfo
from agents.providers.installed import catalogue
from api.schema import call, component
from api.views import View

Json = Any

_MODEL = component(
    "Model",
    {
        "id": {"type": "string"},
        "display_name": {"type": "string"},
        "max_input_tokens": {"type": "integer", "description": "0 when the supplier did not say."},
        "max_output_tokens": {"type": "integer", "description": "0 when the supplier did not say."},
        "capabilities": {"type": "object"},
        "lifecycle": {"type": "string"},
        "retires_at": {"type": ["string", "null"]},
    },
)
_MODELS = component(
    "Models",
    {
        "results": {"type": "array", "items": _MODEL},
        "source": {
            "type": "string",
            "enum": ["api", "shipped"],
            "description": "Whether the supplier said so, or only the list that comes along.",
        },
    },
)


class Models(View):
    """The catalogue."""

    @call("listModels", "List models", answer=_MODELS)
    def get(self, request: Request) -> Response:
        """List the models of this installation's supplier, newest first."""
        self.require("agents:read")
        known = catalogue().snapshot()
        return Response({"results": [_json(model) for model in known.models], "source": known.source})


def _json(model: ModelInfo) -> Json:
    return {
        "id": model.id,
        "display_name": model.display_name,
        "max_input_tokens": model.max_input_tokens,
        "max_output_tokens": model.max_output_tokens,
        "capabilities": dict(model.capabilities),
        "lifecycle": model.lifecycle,
        "retires_at": model.retires_at,
    }
