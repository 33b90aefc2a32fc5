import NIOCore
import Testing

@testable import Mux

/// What each end may say of a tunnel in BIND, UNBIND and STATE.
@Suite("Frames about tunnels")
struct TunnelFrameTests {
    /// A client and a server with tunnel 0 bound.
    private func bound() throws -> (client: Session, server: Session) {
        var (client, server) = (session(.client), session(.server))
        client.bind(BindRequest(tunnel: 0, address: "", port: 0))
        for sent in client.frames() { try server.receive(sent.arrived, now: .start) }
        server.bound(Binding(tunnel: 0, address: "::", port: 80))
        for sent in server.frames() { try client.receive(sent.arrived, now: .start) }
        _ = (client.actions(), server.actions())
        return (client, server)
    }

    @Test("A port that is given back is unbound once, and may be asked for again")
    func unbind() throws {
        var (client, server) = try bound()
        client.unbind(0)
        client.unbind(0)
        let sent = client.frames().filter { $0.header.type == .unbind }
        #expect(sent.count == 1)
        try server.receive(sent[0].arrived, now: .start)
        #expect(server.actions() == [.unbind(tunnel: 0)])
        client.bind(BindRequest(tunnel: 0, address: "", port: 0))
        #expect(client.frames().isEmpty, "its number is in use until UNBOUND")
        server.unbound(0, Refusal(.goingAway, "as asked"))
        for sent in server.frames() { try client.receive(sent.arrived, now: .start) }
        #expect(client.actions() == [.unbound(tunnel: 0, Refusal(.goingAway, "as asked"))])
        client.bind(BindRequest(tunnel: 0, address: "", port: 0))
        #expect(client.sent() == ["bind"])
    }

    @Test("UNBIND may cross BOUND and UNBOUND")
    func crossing() throws {
        var client = session(.client)
        client.bind(BindRequest(tunnel: 0, address: "", port: 0))
        client.unbind(0)
        #expect(client.kind(of: Binding(tunnel: 0, address: "::", port: 80).frame.arrived) == nil)
        #expect(client.actions().isEmpty, "a port that is given back is not reported")
        let unbound = Refusal(.goingAway, "").frame(.unbound, tunnel: 0).arrived
        #expect(client.kind(of: unbound) == nil && client.kind(of: unbound) == .unexpectedFrame)
        var server = session(.server)
        let unbind = Unbinding(tunnel: 0).frame.arrived
        #expect(server.kind(of: unbind) == nil && server.actions().isEmpty)
        for _ in 0..<199 { #expect(server.kind(of: unbind) == nil) }
        #expect(server.kind(of: unbind) == .flood)
        var other = session(.client)
        #expect(other.kind(of: unbind) == .unexpectedFrame)
    }

    @Test("STATE reaches the server for a tunnel that was asked for, and may cross UNBOUND")
    func state() throws {
        var (client, server) = try bound()
        let down = TunnelState(tunnel: 0, isUp: false, reason: "it refused")
        client.report(down)
        client.report(TunnelState(tunnel: 1, isUp: true))
        for sent in client.frames() { try server.receive(sent.arrived, now: .start) }
        #expect(server.actions() == [.state(down)])
        server.unbound(0, Refusal(.goingAway, "as asked"))
        #expect(server.kind(of: down.frame.arrived) == nil && server.actions().isEmpty)
        for _ in 0..<199 { #expect(server.kind(of: down.frame.arrived) == nil) }
        #expect(server.kind(of: down.frame.arrived) == .flood)
        #expect(client.kind(of: down.frame.arrived) == .unexpectedFrame)
        client.unbind(0)
        client.report(down)
        #expect(client.sent() == ["unbind"], "a tunnel that is given back")
    }

    @Test("STATEs count with BINDs, and more than their limit in ten seconds end the session")
    func states() throws {
        var (_, server) = try bound()
        let up = TunnelState(tunnel: 0, isUp: true).frame.arrived
        let limit = MuxLimits().bindsInTenSeconds
        for _ in 1..<limit { #expect(server.kind(of: up) == nil) }
        #expect(server.kind(of: up) == .flood)
    }

    @Test("A STATE has one of two states, and a reason of at most 256 bytes")
    func stateFields() throws {
        for state in [
            TunnelState(tunnel: 7, isUp: true),
            TunnelState(tunnel: 7, isUp: false, reason: String(repeating: "x", count: 256)),
        ] {
            #expect(try TunnelState(state.frame.payload) == state)
        }
        for fields in [
            "01 0002 0007", "01 0002 0007 02 0001 00", "01 0002 0007 02 0001 03", "02 0001 01", "01 0001 07 02 0001 01",
            "01 0002 0007 02 0001 02 03 0101" + String(repeating: "78", count: 257),
        ] {
            #expect(
                kind { () throws(MuxError) in _ = try TunnelState(buffer(hex(fields))) } == .malformedPayload,
                "\(fields.prefix(40))"
            )
        }
    }

    @Test("BIND names a kind and, for a Unix socket, a path of at most 107 bytes")
    func bindFields() throws {
        let path = "/" + String(repeating: "a", count: 106)
        let request = BindRequest(tunnel: 1, address: path, port: 0, kind: .udp)
        #expect(request.isForPath)
        #expect(try BindRequest(request.frame.payload) == request)
        let usual = BindRequest(tunnel: 1, address: "", port: 80)
        #expect(try BindRequest(usual.frame.payload) == usual && !usual.isForPath)
        let binding = Binding(tunnel: 1, address: path, port: 0)
        #expect(try Binding(binding.frame.payload) == binding)
        for fields in [
            "01 0002 0001 02 0000 03 0002 0050 0b 0001 00", "01 0002 0001 02 0000 03 0002 0050 0b 0002 0001",
        ] {
            #expect(kind { () throws(MuxError) in _ = try BindRequest(buffer(hex(fields))) } == .malformedPayload)
        }
        var long = FieldWriter()
        long.append(1, number: UInt16(1))
        long.append(2, Array((path + "a").utf8))
        long.append(3, number: UInt16(0))
        #expect(kind { () throws(MuxError) in _ = try BindRequest(long.bytes) } == .malformedPayload)
    }
}
