"""Announce a source's fields as parameters, as Argo CD's UI wants them."""

from typing import Any, get_args

from cmp_core.models import Source
from cmp_core.validation import alias_of, collection_type


def announce_parameters(model: type[Source], values: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the announcements of a source's fields, in the order of the model.

    Their shape is Argo CD's ``ParameterAnnouncement`` (``reposerver/repository/repository.proto``):
    name, title, tooltip, required, itemType, collectionType, and the present value under
    ``string``, ``array`` or ``map``. Argo CD only shows these values; it never sends them.

    Args:
        model: The backend's model.
        values: The keys of the trigger file, as text, which the UI shows as the present values.
    """
    return [_announce(name, model, values) for name in _order(model)]


def _order(model: type[Source]) -> list[str]:
    """Return the model's own fields before those that every source has."""
    common = Source.model_fields
    return [name for name in model.model_fields if name not in common] + list(common)


def _announce(name: str, model: type[Source], values: dict[str, Any]) -> dict[str, Any]:
    field = model.model_fields[name]
    key = alias_of(name, field)
    collection = collection_type(field)
    announcement: dict[str, Any] = {
        "name": key,
        "title": key,
        "tooltip": field.description or "",
        "required": field.is_required() and key not in values,
        "itemType": "boolean" if bool in (field.annotation, *get_args(field.annotation)) else "",
        "collectionType": collection or "string",
    }
    value = values.get(key)
    if isinstance(value, str) and not collection:
        announcement["string"] = value
    elif isinstance(value, list) and collection == "array":
        announcement["array"] = [item for item in value if isinstance(item, str)]
    elif isinstance(value, dict) and collection == "map":
        announcement["map"] = {name: item for name, item in value.items() if isinstance(item, str)}
    return announcement
