import Testing

/// Server and client against hostile peers, in this process and over real sockets.
///
/// The tests run in turn, because some measure processor time and count sockets.
@Suite("Against hostile peers", .serialized)
enum HostileTests {}

extension Tag {
    /// A test that waits for real timeouts, and takes seconds on any machine.
    @Tag static var slow: Self
}
