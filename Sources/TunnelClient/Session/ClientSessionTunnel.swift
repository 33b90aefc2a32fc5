import TunnelCore

extension ClientSession {
    /// One tunnel in this session.
    struct Tunnel {
        let spec: TunnelSpec
        let way: Way
        /// The visitors and the transferred bytes.
        let statistics: TunnelStatistics
        var isRemoved: Bool
        /// The complete host name, once it is public.
        var publicName: String?
    }

    /// The way to a service.
    enum Way {
        case egress(any Egress)
        /// Each flow has a socket of its own.
        case flows(host: String, port: UInt16)
        /// The streams name their own.
        case socks
    }
}
