"""Drivers: small programs that put one agent behind the protocol of `rune_common.domain.driver_protocol`."""
