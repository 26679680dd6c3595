"""Language models as forecasters: series as text, as tokens, continued under a grammar, scored."""

from tsformer.llm.grammar import Grammar, GrammarLogitsProcessor
from tsformer.llm.scaler import Scaler, fit_scaler
from tsformer.llm.serialize import PRESETS, SerializerSettings, preset
from tsformer.llm.tokens import TokenizedPanel, rank_settings, tokenize_series
from tsformer.llm.vocabulary import Vocabulary, vocabulary_of

__all__ = [
    "PRESETS",
    "Grammar",
    "GrammarLogitsProcessor",
    "Scaler",
    "SerializerSettings",
    "TokenizedPanel",
    "Vocabulary",
    "fit_scaler",
    "preset",
    "rank_settings",
    "tokenize_series",
    "vocabulary_of",
]
