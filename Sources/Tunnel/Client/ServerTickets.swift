import ByteText
import ProxyConnect
import Synchronization

/// The tickets that servers have given this run: they tell a client from strangers while strangers crowd a server.
final class ServerTickets: Sendable {
    /// The field of the upgrade request that shows a ticket.
    static let field = TicketIssuer.field

    private let tickets = Mutex<[EndpointURL: String]>([:])

    /// The ticket for a server, in base64.
    func ticket(for endpoint: EndpointURL) -> String? { tickets.withLock { $0[endpoint] } }

    /// Keeps a server's last ticket; an empty one is none.
    func keep(_ ticket: [UInt8], for endpoint: EndpointURL) {
        guard !ticket.isEmpty else { return }
        tickets.withLock { $0[endpoint] = Base64.encoded(ticket) }
    }
}
