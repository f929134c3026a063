"""From a request to a response: pages, their JSON, what they are rendered with, and what keeps them up to date."""
