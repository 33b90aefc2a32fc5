import Mux

extension MuxLimits {
    /// The limits of a session between two servers. All its streams may wait for ACCEPT: one client that has no carrier must not
    /// hold up the visitors of others. The client's own session bounds those that wait for it.
    package var betweenServers: MuxLimits {
        var limits = self
        limits.opening = streams
        return limits
    }
}
