"""What is used of Feast, imported without its side effects on the process.

Importing feast 0.67 turns every later `prometheus_client` metric of this process and of its
children into files in a folder that it deletes at exit (feast.metrics, PROMETHEUS_MULTIPROC_DIR).
Here prometheus_client comes first and the variables go again. Feast itself sends no usage data.

It also has typeguard rewrite its classes, syntax tree by syntax tree, so that they check their
arguments: five of the twelve seconds that the import takes. mypy checks our calls, so it is left
out. So is torch, three seconds more, which Feast imports for answers as tensors.
"""

import os
import sys
import warnings

import prometheus_client  # noqa: F401  # must be imported before feast
import typeguard

_NAMES = ("PROMETHEUS_MULTIPROC_DIR", "PROMETHEUS_MULTIPROCESS_DIR")
_before = {name for name in _NAMES if name in os.environ}
_typechecked, typeguard.typechecked = typeguard.typechecked, lambda target: target  # type: ignore[assignment]

_without_torch = "torch" not in sys.modules
if _without_torch:
    sys.modules["torch"] = None  # type: ignore[assignment]  # an import of it fails, so Feast goes on

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from feast import (
        Entity,
        FeatureService,
        FeatureStore,
        FeatureView,
        Field,
        FileSource,
        RepoConfig,
        ValueType,
    )
    from feast.infra.key_encoding_utils import serialize_entity_key
    from feast.infra.online_stores import redis as feast_redis
    from feast.infra.online_stores.redis import RedisOnlineStore, RedisOnlineStoreConfig
    from feast.infra.online_stores.sqlite import SqliteOnlineStore, SqliteOnlineStoreConfig
    from feast.on_demand_feature_view import on_demand_feature_view
    from feast.types import Array, Bool, Float32, Float64, Int64, String

typeguard.typechecked = _typechecked
if _without_torch:
    del sys.modules["torch"]
for _name in _NAMES:
    if _name not in _before:
        os.environ.pop(_name, None)

__all__ = [
    "Array", "Bool", "Entity", "FeatureService", "FeatureStore", "FeatureView", "Field",
    "FileSource", "Float32", "Float64", "Int64", "RedisOnlineStore", "RedisOnlineStoreConfig",
    "RepoConfig", "SqliteOnlineStore", "SqliteOnlineStoreConfig", "String", "ValueType",
    "feast_redis", "on_demand_feature_view", "serialize_entity_key",
]  # fmt: skip
