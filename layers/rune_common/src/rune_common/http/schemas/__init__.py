"""Requests and views on the wire. Requests map to a frozen request, views are made from records."""
