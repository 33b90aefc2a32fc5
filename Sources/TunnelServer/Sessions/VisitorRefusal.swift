/// A reason for which a visitor is reset before it gets a stream.
enum VisitorRefusal: String, Sendable, CaseIterable {
    case denied = "its address is not permitted"
    case unhealthy = "its service is not healthy"
    case tooMany = "as many visitors as the tunnel may have"
    case tooFast = "too many connections a second from its address"
    case noStreams = "all streams of the session are used"
    case noShare = "its client has its share of the server"
    case noMemory = "the server is short of memory"
}
