import Mux

extension MuxLimits {
    /// The limits of a session between two servers.
    ///
    /// All its streams may wait for ACCEPT: one client that has no carrier must not hold up the visitors of others. The client's own
    /// session bounds those that wait for it. A lost link is not resumed: its visitors begin anew. Those of a server that
    /// has vanished must not stay with their services.
    package var betweenServers: MuxLimits {
        var limits = self
        limits.opening = streams
        limits.grace = .zero
        return limits
    }
}
