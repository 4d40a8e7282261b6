"""A typed client of the API.

    with Client("http://127.0.0.1:16402", key=key) as api:
        api.post_events([SignUp(event_id=uuid4(), occurred_at=datetime.now(UTC), payload=SignedUp(method="email"))])
        weeks = api.get_weekly_sales(from_=date(2026, 11, 2)).weeks

`models` and `routes` are written by `python -m ci.client` from the API's own description.
"""

from leandata.client.models import *  # noqa: F403 - all models of the API
from leandata.client.routes import Client as Client
from leandata.client.transport import ApiError as ApiError
