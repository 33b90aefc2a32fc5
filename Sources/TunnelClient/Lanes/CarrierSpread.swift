/// The ways that the further carriers of a session take.
public enum CarrierSpread: String, Sendable, Hashable, CaseIterable {
    /// The way of the first carrier.
    case same
    /// Other proxies of the list, or other addresses of the server's name, if there are any.
    case spread
}
