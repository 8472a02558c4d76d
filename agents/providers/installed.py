"""The supplier this installation is set to use (ANTHROPIC_API_KEY, ANTHROPIC_BASE_URL), and its catalogue of models."""

from functools import lru_cache

from django.conf import settings

from agents.core.model import ModelProvider
from agents.providers.catalogue import Catalogue


@lru_cache(maxsize=1)
def provider() -> ModelProvider:
    """Return the supplier. Its SDK is loaded here, at the first use."""
    from agents.providers.claude import ClaudeProvider

    return ClaudeProvider(settings.ANTHROPIC_API_KEY or "none", settings.ANTHROPIC_BASE_URL or None)


@lru_cache(maxsize=1)
def catalogue() -> Catalogue:
    """Return the catalogue of this process, which asks the supplier when what it knows is too old."""
    return Catalogue(provider())
