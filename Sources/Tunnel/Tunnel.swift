// Both roles, what they share, the operator's server and servers' keys, as one product.
@_exported import Seal
@_exported import TunnelAdmin
@_exported import TunnelClient
@_exported import TunnelCore
@_exported import TunnelServer
