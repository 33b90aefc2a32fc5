import ByteText
import Synchronization

/// The tickets that servers gave to this run. By its ticket a crowded server distinguishes a
/// client from strangers.
final class ServerTickets: Sendable {
    /// Servers whose tickets are kept. 1,000: the URLs of a cluster's servers change with each restart. Beyond the limit all are
    /// forgotten.
    static let maximum = 1_000

    private let tickets = Mutex<[EndpointURL: String]>([:])

    /// The ticket for a server, in base64.
    func ticket(for endpoint: EndpointURL) -> String? { tickets.withLock { $0[endpoint] } }

    /// Keeps the last ticket of a server. An empty one is ignored.
    func keep(_ ticket: [UInt8], for endpoint: EndpointURL) {
        guard !ticket.isEmpty else { return }
        tickets.withLock { tickets in
            if tickets.count >= Self.maximum, tickets[endpoint] == nil { tickets = [:] }
            tickets[endpoint] = Base64.encoded(ticket)
        }
    }
}
