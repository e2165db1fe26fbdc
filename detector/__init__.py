"""From a change map to alerts: patches, their features, and what is published of them."""
