/// Chooses the proxies and addresses of a session's further carriers.
public enum CarrierSpread: String, Sendable, Hashable, CaseIterable {
    /// The proxy and the address of the first carrier.
    case same
    /// Other proxies of the list, or other addresses of the server's name, if there are any.
    case spread
}
