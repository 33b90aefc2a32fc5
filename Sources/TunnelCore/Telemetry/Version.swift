/// This release of Culvert, as `--version` and the handshake say it.
public let culvertVersion = "0.1.0"

/// The software that each end names to the other.
package let softwareName = "culvert/\(culvertVersion)"

/// The WebSocket subprotocol of the session protocol's first version.
package let subprotocolName = "culvert-tunnel.v1"
