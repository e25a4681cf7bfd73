"""What the state machines, the table's stream and the schedule call: parse, use case, dict."""
