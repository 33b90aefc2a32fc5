/// Whether sessions are sealed end to end, between client and server, below the TLS of any hop.
///
/// | | a client | a server |
/// |---|---|---|
/// | `auto` | asks for the seal, unless it dials a loopback address without a proxy | takes sealed and other sessions |
/// | `required` | refuses a server that does not seal | refuses a client that does not seal |
/// | `off` | does not ask | does not offer |
///
/// The value of a case is its text in flags and configurations.
public enum EncryptionPolicy: String, Sendable, CaseIterable {
    /// Seals if both ends can. A client leaves the seal off only if it dials a loopback address without a proxy.
    case auto
    /// Refuses a peer without the seal.
    case required
    /// Neither offers the seal nor asks for it.
    case off
}
