import HTTP1
import ProxyConnect
import TunnelCore

/// The fixed limits of a client: dials, proxies, reconnecting and renewals.
extension FixedLimit {
    package static let dialling: [FixedLimit] = [
        FixedLimit(
            "Head of an answer",
            .bytes(HeadLimits.response.maximumBytes),
            "Kerberos tokens and cookies are large"
        ),
        FixedLimit(
            "Fields of an answer",
            .count(HeadLimits.response.maximumFields),
            "security policies have many fields"
        ),
        FixedLimit(
            "Interim answers before the final one",
            .count(ConnectExchange.interimLimit),
            "servers send one or two"
        ),
        FixedLimit(
            "Body of an answer that is collected for an error",
            .bytes(BodyDrain.collectedLimit),
            "an error quotes its first line"
        ),
        FixedLimit(
            "Bytes quoted of an answer that is not HTTP",
            .bytes(ConnectExchange.startLimit),
            "the first bytes name the protocol"
        ),
        FixedLimit(
            "Addresses of one name tried after a failed connection",
            .count(AddressRotation.maximumTries),
            "each may take the time of a hop, and other proxies wait"
        ),
        FixedLimit(
            "Servers whose tickets are kept",
            .count(ServerTickets.maximum),
            "the URLs of a cluster's servers may change with each restart"
        ),
        FixedLimit(
            "Failed addresses that later dials try last",
            .count(SuspectAddresses.maximum),
            "few names have more than a handful"
        ),
        FixedLimit(
            "Time for which a failed address is tried last",
            .time(SuspectAddresses.validity),
            "a repaired server is then as good as its neighbours"
        ),
        FixedLimit(
            "Servers and proxies whose ClientHello size is remembered",
            .count(HelloSizeMemory.maximumPlaces),
            "a proxy script may name ever other proxies"
        ),
        FixedLimit(
            "Unanswered TLS handshakes before a smaller ClientHello",
            .count(HelloSizeMemory.unansweredLimit),
            "one lost packet is not yet a middlebox that drops large ones"
        ),
        FixedLimit(
            "Length of the file of known servers",
            .bytes(KnownServersFile.longestFile),
            "some 10,000 servers, read in a few milliseconds at each dial"
        ),
        FixedLimit(
            "Time for the lock of the file of known servers",
            .time(KnownServersFile.lockTime),
            "another process holds it for one line, and an event loop waits"
        ),
        FixedLimit(
            "Keys of servers in memory because their file took none",
            .count(KnownServers.maximumKept),
            "a client has few servers"
        ),
    ]

    package static let proxies: [FixedLimit] = [
        FixedLimit(
            "Body of a 407",
            .bytes(ConnectExchange.drainLimit),
            "to read past a page keeps the connection"
        ),
        FixedLimit(
            "Body of a 407 if the scheme needs the same connection",
            .bytes(ConnectExchange.boundDrainLimit),
            "no other connection will do"
        ),
        FixedLimit(
            "Connections of one CONNECT exchange",
            .count(Dialler.maximumLegs),
            "a proxy may close after each answer, and each scheme needs few legs"
        ),
        FixedLimit(
            "Legs of one authentication scheme",
            .count(ConnectExchange.legs),
            "no scheme needs more than negotiate, challenge and response"
        ),
        FixedLimit(
            "Challenges of an answer, and parameters of a challenge",
            .count(Challenge.limit),
            "proxies offer few schemes with few parameters"
        ),
        FixedLimit(
            "Target information of an NTLM challenge",
            .bytes(ConnectExchange.targetInformation),
            "directories send less, and the response must fit into a head"
        ),
        FixedLimit(
            "Time for a Kerberos ticket",
            .time(TicketSession.timeout),
            "another scheme is tried while the proxy still waits"
        ),
        FixedLimit(
            "Time without another try of refused credentials",
            .time(DialPlan.ban),
            "few wrong tries lock an account for about as long"
        ),
        FixedLimit(
            "Time without a dial after a proxy was silent about a password",
            .time(.seconds(ProxyFailure.pauseAfterSilence)),
            "further tries may lock the account"
        ),
        FixedLimit(
            "Length of a proxy script",
            .bytes(ProxyScript.limit),
            "large ones of companies have a tenth of it"
        ),
        FixedLimit(
            "Age at which a script of a web server is fetched again",
            .time(ProxyScript.freshness),
            "a changed script counts soon, and a dial seldom waits for it"
        ),
        FixedLimit(
            "Time to fetch a proxy script",
            .time(ProxyScriptPage.longestFetch),
            "the dial waits for it"
        ),
        FixedLimit(
            "Proxies of a script's answer",
            .count(ProxyScriptAnswer.limit),
            "each may cost a dial the time of a hop"
        ),
    ]

    package static let reconnecting: [FixedLimit] = [
        FixedLimit(
            "First wait after a failed dial, before jitter",
            .time(Backoff.first),
            "most losses of a path are short"
        ),
        FixedLimit(
            "Longest wait after a failed dial",
            .time(Backoff.ceiling),
            "a server that is back is found soon, and clients do not hammer it"
        ),
        FixedLimit(
            "Time between two dials",
            .time(Backoff.spacing),
            "a path that comes and goes is not hammered"
        ),
        FixedLimit(
            "Age of a WebSocket that takes the waits back to the first",
            .time(Backoff.steady),
            "the path works then"
        ),
        FixedLimit(
            "Age of a WebSocket that halves the count of failed dials",
            .time(Backoff.useful),
            "it has carried something"
        ),
        FixedLimit(
            "Longest `Retry-After` that a client without a session obeys",
            .time(Backoff.longestPause),
            "a mistaken header must not stop a client for a day"
        ),
        FixedLimit(
            "Longest `Retry-After` while a session waits for a WebSocket",
            .time(RetryPolicy.longestPauseWithSession),
            "visitors wait too"
        ),
        FixedLimit(
            "First wait after a refusal by a server that has let the client in",
            .time(Backoff.refusalWaits.first),
            "an operator has to correct it"
        ),
        FixedLimit(
            "Longest wait after such refusals",
            .time(Backoff.refusalWaits.longest),
            "the client reconnects without an operator's help"
        ),
        FixedLimit(
            "Time for which only the session's own server is dialled",
            .time(DialPlan.loyalty),
            "another server would end the streams, and visitors wait as long"
        ),
        FixedLimit(
            "First wait before a taken port is requested again",
            .time(ClientSession.bindRetries.first),
            "the old session often ends soon"
        ),
        FixedLimit(
            "Longest wait before a taken port is requested again",
            .time(ClientSession.bindRetries.longest),
            "each request costs the server system calls"
        ),
        FixedLimit(
            "First wait before a port outside the client's rights is requested again",
            .time(ClientSession.refusalRetries.first),
            "an operator has to grant it"
        ),
        FixedLimit(
            "Longest wait before such a port is requested again",
            .time(ClientSession.refusalRetries.longest),
            "the client gets its port without an operator's help"
        ),
        FixedLimit(
            "Time between two checks for a sleep of the machine",
            .time(SleepDetector.period),
            "a laptop that wakes finds its path dead, and a check costs little"
        ),
        FixedLimit(
            "Difference of the clocks that counts as a sleep",
            .time(SleepDetector.tolerance),
            "a clock that is set right moves less"
        ),
        FixedLimit(
            "Time to answer a ping after a sleep",
            .time(SleepDetector.pingTimeout),
            "a path that outlived the sleep answers sooner"
        ),
        FixedLimit(
            "Shortest ping interval that is learnt from lost WebSockets",
            .time(PathProfile.shortestPing),
            "the server bounds pings"
        ),
        FixedLimit(
            "Age below which a lost WebSocket teaches no renewal",
            .time(PathProfile.youngest),
            "so young a loss is an outage"
        ),
    ]

    package static let renewals: [FixedLimit] = [
        FixedLimit(
            "Time that an operator waits for the outcome of a dial",
            .time(ClientAdmin.outcomeTimeout),
            "the answer must come within `admin_timeout`"
        )
    ]

    package static let localPorts: [FixedLimit] = [
        FixedLimit(
            "Time for a program's SOCKS request",
            .time(Duration(SocksHandler.timeout)),
            "a program sends it at once"
        ),
        FixedLimit(
            "Connections in the listen queue of a local port",
            .count(ClientLimits().localListenQueue),
            "a burst must fit while there is no session"
        ),
        FixedLimit(
            "New connections of a local port in a second",
            .count(ClientLimits().localConnectionsPerSecond),
            "each costs the server a connection"
        ),
        FixedLimit(
            "Descriptors that local connections leave free",
            .count(ClientLimits().reservedDescriptors),
            "the WebSocket, services and the operator need some"
        ),
        FixedLimit(
            "First wait before a local port is bound again",
            .time(Duration(ForwardListeners.retries.first)),
            "the program that has it may be about to end"
        ),
        FixedLimit(
            "Longest wait before a local port is bound again",
            .time(Duration(ForwardListeners.retries.longest)),
            "a port that becomes free is taken soon"
        ),
    ]
}
