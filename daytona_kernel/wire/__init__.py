"""What client, agent and server share: framing, log markers, routes. No I/O, no dependency."""
