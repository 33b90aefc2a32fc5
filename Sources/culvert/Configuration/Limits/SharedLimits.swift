import Mux
import Tunnel

/// The limits that both roles have, under one name for either's configuration.
struct SharedLimits: Sendable {
    var session: MuxLimits
    var carrier: CarrierLimits
    var admin: AdminLimits
    var memory: Int
    var visitorLogLines: Int
    var drainTimeout: Duration
    var flows: FlowLimits

    /// The peer's pings in ten seconds: one number for the session's and, apart from them, for the WebSocket's.
    var pingsInTenSeconds: Int {
        get { session.pingsInTenSeconds }
        set {
            session.pingsInTenSeconds = newValue
            carrier.pingsInTenSeconds = newValue
        }
    }
}

extension ServerConfiguration {
    /// The limits that a client has too.
    var shared: SharedLimits {
        get {
            SharedLimits(
                session: limits,
                carrier: serverLimits.carrier,
                admin: serverLimits.admin,
                memory: serverLimits.memory,
                visitorLogLines: serverLimits.visitorLogLines,
                drainTimeout: drainTimeout,
                flows: serverLimits.flows
            )
        }
        set {
            limits = newValue.session
            serverLimits.carrier = newValue.carrier
            serverLimits.admin = newValue.admin
            serverLimits.memory = newValue.memory
            serverLimits.visitorLogLines = newValue.visitorLogLines
            serverLimits.flows = newValue.flows
            drainTimeout = newValue.drainTimeout
        }
    }
}

extension ClientConfiguration {
    /// The limits that a server has too.
    var shared: SharedLimits {
        get {
            SharedLimits(
                session: limits,
                carrier: clientLimits.carrier,
                admin: clientLimits.admin,
                memory: clientLimits.memory,
                visitorLogLines: clientLimits.visitorLogLines,
                drainTimeout: drainTimeout,
                flows: clientLimits.flows
            )
        }
        set {
            limits = newValue.session
            clientLimits.carrier = newValue.carrier
            clientLimits.admin = newValue.admin
            clientLimits.memory = newValue.memory
            clientLimits.visitorLogLines = newValue.visitorLogLines
            clientLimits.flows = newValue.flows
            drainTimeout = newValue.drainTimeout
        }
    }
}
