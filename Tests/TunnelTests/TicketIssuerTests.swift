import Testing

@testable import TunnelAdmin
@testable import TunnelClient
@testable import TunnelCore
@testable import TunnelServer

@Suite("Tickets of known clients")
struct TicketIssuerTests {
    private let client = [UInt8](repeating: 7, count: 48)
    private let now: Int64 = 1_700_000_000

    private func field(_ ticket: [UInt8]) throws -> String {
        let tickets = ServerTickets()
        let endpoint = try EndpointURL("ws://localhost")
        tickets.keep(ticket, for: endpoint)
        return try #require(tickets.ticket(for: endpoint))
    }

    @Test("A ticket is valid for a week, for one client, at the process that issued it")
    func life() throws {
        let issuer = TicketIssuer()
        let ticket = try field(issuer.issue(to: client, now: now))
        let holder = issuer.holder(of: ticket, now: now)
        #expect(holder != nil)
        #expect(issuer.holder(of: ticket, now: now + TicketIssuer.lifetime - 1) == holder)
        #expect(issuer.holder(of: ticket, now: now + TicketIssuer.lifetime) == nil)
        let again = try field(issuer.issue(to: client, now: now + 5))
        #expect(again != ticket && issuer.holder(of: again, now: now + 5) == holder)
        let other = try field(issuer.issue(to: [UInt8](repeating: 8, count: 48), now: now))
        #expect(issuer.holder(of: other, now: now) != holder)
        #expect(TicketIssuer().holder(of: ticket, now: now) == nil)
    }

    @Test("The tickets of 1,000 servers are kept, and one more makes a client forget the others")
    func maximum() throws {
        let tickets = ServerTickets()
        let endpoints = try (1...1_001).map { try EndpointURL("ws://127.0.0.1:\($0)") }
        for endpoint in endpoints.prefix(1_000) + endpoints.prefix(1) { tickets.keep([1], for: endpoint) }
        #expect(ServerTickets.maximum == 1_000 && endpoints.prefix(1_000).allSatisfy { tickets.ticket(for: $0) != nil })
        tickets.keep([1], for: endpoints[1_000])
        #expect(tickets.ticket(for: endpoints[1_000]) != nil && tickets.ticket(for: endpoints[0]) == nil)
    }

    @Test("A ticket with a changed byte, or another text, is invalid")
    func forged() throws {
        let issuer = TicketIssuer()
        let ticket = issuer.issue(to: client, now: now)
        for index in ticket.indices {
            var forged = ticket
            forged[index] ^= 1
            #expect(issuer.holder(of: try field(forged), now: now) == nil, "byte \(index)")
        }
        let texts = ["", "=", "AAAA", String(repeating: "A", count: 44), String(repeating: "é", count: 22)]
        for text in try texts + [field(Array(ticket.dropLast())), field(ticket + [0]), field(ticket) + "=="] {
            #expect(issuer.holder(of: text, now: now) == nil)
        }
    }
}
