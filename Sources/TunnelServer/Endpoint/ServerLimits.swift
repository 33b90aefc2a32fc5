import HTTP1
import TunnelAdmin
import TunnelCore

/// The limits of a server beside those of its sessions, each with its default and its reason. Zero never means "no limit".
public struct ServerLimits: Sendable, Equatable {
    /// The head of an unauthenticated peer's request.
    public var head = HeadLimits.request
    /// Time from accept to the client's proof, and for a front's PROXY header. 10 s in all: a byte now and then does not
    /// extend it.
    public var handshakeTimeout: Duration = .seconds(10)
    /// Unauthenticated connections whose request has arrived; a quarter is reserved for clients with a ticket. 256: each
    /// costs a socket and some KiB until the handshake's timeout.
    public var strangers = 256
    /// Connections whose request has not arrived. 256: each costs a socket and some KiB, and with TLS a handshake.
    public var silentStrangers = 256
    /// Connections of either kind from one address, or from one /64 of IPv6. 16: after a restart, an office behind one
    /// address returns at once.
    public var strangersPerAddress = 16
    /// Requests for a session in a second, and as many at once. 100: after a restart, a thousand clients return within half
    /// a minute, and no proof waits for the processor.
    ///
    /// A quarter is the share of one address, and a quarter is reserved for clients with a ticket. Clients past the limit
    /// are asked to retry. Connections are accepted at four times this rate. Requests that open no session are answered at
    /// this rate.
    public var connectionsPerSecond = 100
    /// Wrong proofs in a minute from one address that are answered at once. 5: a mistyped file name has no penalty. Each
    /// further answer is delayed by one second more.
    public var freeProofs = 5
    /// The longest delay of a refusal. 5 s, which leaves the rest of the handshake's timeout for the network.
    public var longestProofDelay: Duration = .seconds(5)
    /// Addresses whose recent behaviour is remembered. 4,096: some hundred KiB.
    public var rememberedAddresses = 4_096
    /// Sessions of one client, with those that wait for a carrier. 1,000: enough for a token that many machines share, and a
    /// quarter of the memory for a client that leaves sessions behind.
    ///
    /// At the limit, a new session ends the one that has waited longest for a carrier. If none waits, it is refused with a
    /// retry time.
    public var sessionsPerClient = 1_000
    /// Carriers of one session at a time. 8: more than the five of a client's automatic choice.
    public var carriersPerSession = 8
    /// Log lines of one kind in ten seconds that unauthenticated peers may cause. 20: they must not fill a disk. Omitted
    /// lines are counted.
    public var logLines = 20
    /// Log lines of streams that have ended, in ten seconds. 1,000: they cover a busy site, and a flood of visitors writes
    /// 20 KiB a second. Omitted lines are counted.
    public var visitorLogLines = 1_000
    /// Public ports of one client, over all its sessions. 1,024: four full sessions.
    public var portsPerClient = 1_024
    /// Connections in the endpoint's listen queue. 1,024: all clients return at once after a restart.
    public var listenQueue = 1_024
    /// Connections in the listen queue of each public port. 4,096: a burst while the session has no room.
    public var publicListenQueue = 4_096
    /// Visitors in a second that one public port accepts; others wait in the listen queue. 10,000: each costs the client a
    /// connection to its service.
    public var visitorsPerSecond = 10_000
    /// Pending visitors of one session, which has no room or no carrier. 256: each costs a socket. Later ones wait in the
    /// listen queue.
    public var waitingVisitors = 256
    /// Time that a visitor waits for the session's next carrier. 15 s: a proxy restarts in less, and a person gives up.
    public var waitingTime: Duration = .seconds(15)
    /// Time that a visitor waits for a stream while all are in use. 2 s: a page that loads has closed some by then, and a
    /// silent tunnel helps no visitor.
    public var waitingTimeForStream: Duration = .seconds(2)
    /// Streams in a second that one client may open to destinations, and half of those at once. 250: a browser opens a
    /// hundred for one page, and each costs a lookup and a connection.
    public var forwardsPerSecond = 250
    /// Time for a connection to a destination. 10 s, less than the time that its opener waits.
    public var forwardTimeout: Duration = .seconds(10)
    /// The limits of UDP flows.
    public var flows = FlowLimits()
    /// Descriptors that are reserved for clients, their ports and the operator. 64.
    public var reservedDescriptors = 64
    /// Connections to the backend. 256: enough for a site, and few enough to leave the tunnels their descriptors.
    public var backendConnections = 256
    /// Silence after which a connection to the backend is closed. 60 s, as in web servers.
    public var backendIdle: Duration = .seconds(60)
    /// Time for the body of a request to the backend. 10 min: enough for a large upload by a slow line, and too short for a
    /// drip of single bytes.
    public var backendBody: Duration = .seconds(600)
    /// Time for the backend to begin its answer, once it has the request. 60 s, as in web servers.
    public var backendAnswer: Duration = .seconds(60)
    /// Time for a connection to the backend as a whole. 1 h: a large download.
    public var backendTotal: Duration = .seconds(3_600)
    /// The head of a visitor's request for a host name: 32 KiB, 100 fields, 16 KiB per line. A browser's cookies and tokens
    /// of several applications under one domain fit.
    public var visitorHead = HeadLimits(maximumBytes: 32_768, maximumFields: 100, maximumLineBytes: 16_384)
    /// Time for the head of a visitor's request, and for its TLS handshake. 10 s, as for the endpoint: a byte now and then
    /// does not extend it.
    public var visitorHeadTimeout: Duration = .seconds(10)
    /// Time for which a visitor's connection waits for its next request. 60 s: a person reads a page meanwhile.
    public var visitorKeepAlive: Duration = .seconds(60)
    /// Silence of a visitor in the middle of a request's body. 60 s, as in web servers.
    public var visitorIdle: Duration = .seconds(60)
    /// Time for a service to begin its answer, once it has the request. 60 s, as in web servers.
    public var visitorAnswer: Duration = .seconds(60)
    /// Connections of visitors to host names. 10,000: a busy site; a quarter is the limit of one address.
    public var visitorConnections = 10_000
    /// Memory of all sessions of the process together, bytes. 1 GiB: eight sessions at their own limits.
    public var memory = standardMemory
    /// The limits of the admin server.
    public var admin = AdminLimits()
    /// The limits of clients' WebSockets.
    public var carrier = CarrierLimits()

    /// The defaults.
    public init() {}

    /// The limits of each public port.
    var ingress: IngressLimits {
        IngressLimits(
            listenQueue: publicListenQueue,
            connectionsPerSecond: visitorsPerSecond,
            reservedDescriptors: reservedDescriptors
        )
    }
}
