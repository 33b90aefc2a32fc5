// Both roles, what they share, and the operator's server, as one product.
@_exported import TunnelAdmin
@_exported import TunnelClient
@_exported import TunnelCore
@_exported import TunnelServer
