import ByteText
import Synchronization

/// The tickets that servers gave to this run. By its ticket a crowded server distinguishes a
/// client from strangers.
final class ServerTickets: Sendable {
    private let tickets = Mutex<[EndpointURL: String]>([:])

    /// The ticket for a server, in base64.
    func ticket(for endpoint: EndpointURL) -> String? { tickets.withLock { $0[endpoint] } }

    /// Keeps the last ticket of a server. An empty one is ignored.
    func keep(_ ticket: [UInt8], for endpoint: EndpointURL) {
        guard !ticket.isEmpty else { return }
        tickets.withLock { $0[endpoint] = Base64.encoded(ticket) }
    }
}
