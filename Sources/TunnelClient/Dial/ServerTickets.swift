import ByteText
import ProxyConnect
import Synchronization
import TunnelAdmin
import TunnelCore

/// The tickets that servers have given this run: they tell a client from strangers while strangers crowd a server.
final class ServerTickets: Sendable {
    private let tickets = Mutex<[EndpointURL: String]>([:])

    /// The ticket for a server, in base64.
    func ticket(for endpoint: EndpointURL) -> String? { tickets.withLock { $0[endpoint] } }

    /// Keeps a server's last ticket; an empty one is none.
    func keep(_ ticket: [UInt8], for endpoint: EndpointURL) {
        guard !ticket.isEmpty else { return }
        tickets.withLock { $0[endpoint] = Base64.encoded(ticket) }
    }
}
