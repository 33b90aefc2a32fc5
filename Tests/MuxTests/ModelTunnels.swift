import Testing

@testable import Mux

/// The tunnels of the two sessions in a ``Model``.
struct ModelTunnels {
    static let count: UInt16 = 4

    /// Requests that the server has not answered.
    private(set) var requests: [UInt16] = []
    /// Tunnels that are to be given up, since the client has given them back.
    private(set) var returned: Set<UInt16> = []
    /// Tunnels whose request the client has made, and has no refusal of.
    private(set) var asked: Set<UInt16> = []
    /// Reports of services that the client has made, and the last one that has arrived.
    var reported: UInt64 = 0
    private var arrived: UInt64 = 0

    /// Whether some reports have arrived.
    var haveReports: Bool { arrived > 0 }

    mutating func ask(_ tunnel: UInt16) { asked.insert(tunnel) }

    /// Takes a request that the server answers now.
    mutating func takeRequest() -> UInt16? { requests.popLast() }

    /// Takes a tunnel that the server gives up now.
    mutating func takeReturned() -> UInt16? { returned.popFirst() }

    /// What is wrong with an action; nil if nothing is.
    mutating func observe(_ action: SessionAction, at role: Role) -> String? {
        switch (action, role) {
        case (.bind(let request), .server):
            guard !requests.contains(request.tunnel) else { return "bind of tunnel \(request.tunnel) twice" }
            requests.append(request.tunnel)
        case (.unbind(let tunnel), .server):
            returned.insert(tunnel)
            requests.removeAll { $0 == tunnel }
        case (.state(let state), .server):
            guard let number = UInt64(state.reason), number > arrived, number <= reported else {
                return "report \(state.reason) after \(arrived)"
            }
            arrived = number
        case (.bound(let binding), .client):
            return asked.contains(binding.tunnel) ? nil : "bound of tunnel \(binding.tunnel) that was not asked for"
        case (.unbound(let tunnel, _), .client):
            return asked.remove(tunnel) == nil ? "unbound of tunnel \(tunnel) that was not asked for" : nil
        default:
            return "\(action) at \(role)"
        }
        return nil
    }
}

extension Model {
    /// Performs one random operation on a tunnel.
    mutating func operateTunnels(isEnding: Bool) {
        let tunnel = UInt16(below(Int(ModelTunnels.count)))
        switch below(6) {
        case 0 where !isEnding && !tunnels.asked.contains(tunnel):
            tunnels.ask(tunnel)
            with(.client) { session throws(MuxError) in session.bind(BindRequest(tunnel: tunnel, address: "", port: 0))
            }
        case 1 where !isEnding && below(3) == 0:
            with(.client) { session throws(MuxError) in session.unbind(tunnel) }
        case 0...2 where !isEnding:
            tunnels.reported += 1
            let state = TunnelState(tunnel: tunnel, isUp: false, reason: "\(tunnels.reported)")
            with(.client) { session throws(MuxError) in session.report(state) }
        case 3:
            guard let tunnel = tunnels.takeRequest() else { return }
            let isBound = below(3) > 0
            with(.server) { session throws(MuxError) in
                if isBound {
                    session.bound(Binding(tunnel: tunnel, address: "::", port: 80))
                } else {
                    session.unbound(tunnel, Refusal(.portInUse, ""))
                }
            }
        default:
            guard let tunnel = tunnels.takeReturned() else { return }
            with(.server) { session throws(MuxError) in session.unbound(tunnel, Refusal(.goingAway, "")) }
        }
    }
}
