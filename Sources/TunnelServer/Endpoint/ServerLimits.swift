import HTTP1
import TunnelAdmin
import TunnelCore

/// The bounds of a server beside those of its sessions: each with its default and its reason. Zero never means "without".
public struct ServerLimits: Sendable, Equatable {
    /// The head of a stranger's request.
    public var head = HeadLimits.request
    /// The time from accept to proof, and a front's for its PROXY header. 10 s, absolute: a byte now and then buys no
    /// more of it.
    public var handshakeTimeout: Duration = .seconds(10)
    /// Connections whose request has come and that have not proved themselves, a quarter of them for clients with a ticket.
    /// 256: each costs a socket and some KiB for ten seconds.
    public var strangers = 256
    /// Connections whose request has not come. 256: each costs a socket and some KiB, and with TLS a handshake.
    public var silentStrangers = 256
    /// The same from one address, or one /64 of IPv6, of either kind. 16: an office behind one address comes back at once after a restart.
    public var strangersPerAddress = 16
    /// Requests for a session that the endpoint takes in a second, and as many at once, a quarter of them from one address,
    /// and a quarter for clients with a ticket; others are asked to come back. Connections are taken four times as often,
    /// and as many requests that need no session are answered. 100: after a
    /// restart a thousand clients are back within half a minute, and nobody's proof waits for the processor.
    public var connectionsPerSecond = 100
    /// Wrong proofs a minute from one address that are answered at once; each further one waits a second longer. 5: who
    /// mistypes a file's name is not punished.
    public var freeProofs = 5
    /// The longest that a refusal is held back. 5 s, which leaves the rest of the handshake's time for the way.
    public var longestProofDelay: Duration = .seconds(5)
    /// Addresses that are remembered for what they did lately. 4,096: some hundred KiB.
    public var rememberedAddresses = 4_096
    /// Sessions of one client, with those that wait for a carrier; past it the one of these that has waited the longest
    /// ends, and where none waits the newcomer is asked to come back. 1,000: a token that many machines share, and a
    /// quarter of the memory for one that begins sessions and leaves them behind.
    public var sessionsPerClient = 1_000
    /// Log lines of one kind in ten seconds that strangers may cause; what is left out is counted. 20: strangers must
    /// not be able to fill a disk.
    public var logLines = 20
    /// Log lines of streams that have ended, in ten seconds; what is left out is counted. 1,000: a busy site's visitors are
    /// all there, and a flood of them writes 20 KiB a second.
    public var visitorLogLines = 1_000
    /// Public ports of one client, over all its sessions. 1,024: four full sessions.
    public var portsPerClient = 1_024
    /// Connections that the kernel holds for the endpoint. 1,024: all clients come back at once after a restart.
    public var listenQueue = 1_024
    /// The same for each public port. 4,096: a burst while the session has no room.
    public var publicListenQueue = 4_096
    /// Visitors a second that one public port accepts; the others wait in the listen queue. 10,000: each costs the client
    /// a connection to its service, whoever sends them.
    public var visitorsPerSecond = 10_000
    /// Visitors of one session that are taken in while it has no room or no WebSocket. 256: each costs a socket; whoever
    /// comes later waits in the listen queue.
    public var waitingVisitors = 256
    /// How long a visitor waits for a session's next WebSocket. 15 s: a proxy that restarts takes less, and a person
    /// gives up.
    public var waitingTime: Duration = .seconds(15)
    /// How long a visitor waits for one of the session's streams while all are used up. 2 s: a page that loads has closed
    /// some by then, and a silent tunnel helps no visitor.
    public var waitingTimeForStream: Duration = .seconds(2)
    /// Descriptors that visitors leave free, for clients, their ports and the operator. 64.
    public var reservedDescriptors = 64
    /// Connections that are handed on to the backend. 256: enough for a site, and little enough to leave the tunnels
    /// their descriptors.
    public var backendConnections = 256
    /// Silence after which such a connection is ended. 60 s, as web servers have it.
    public var backendIdle: Duration = .seconds(60)
    /// How long the body of a request to the backend may take. 10 min: 100 MB by a slow line, and no drip of single bytes.
    public var backendBody: Duration = .seconds(600)
    /// How long the backend may take to begin its answer, once it has the request. 60 s, as web servers have it.
    public var backendAnswer: Duration = .seconds(60)
    /// How long a connection to the backend may take in all. 1 h: a large download.
    public var backendTotal: Duration = .seconds(3_600)
    /// What all sessions of the process may hold together, bytes. 1 GiB: what eight greedy ones hold at their own
    /// bounds.
    public var memory = standardMemory
    /// The operator's own door.
    public var admin = AdminLimits()
    /// What the WebSockets of clients are held to.
    public var carrier = CarrierLimits()

    /// The defaults.
    public init() {}

    /// What each public port is held to.
    var ingress: IngressLimits {
        IngressLimits(
            listenQueue: publicListenQueue,
            connectionsPerSecond: visitorsPerSecond,
            reservedDescriptors: reservedDescriptors
        )
    }
}
