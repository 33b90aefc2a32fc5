import ArgumentParser
import Foundation

/// A proxy that gives each connection a rate in each direction, and leaves the rest to TCP.
///
/// Buffers are the system's. So what does not pass waits at the sender, once the receive buffer here is full.
struct ThrottleCommand: ParsableCommand {
    static let configuration = CommandConfiguration(commandName: "throttle", shouldDisplay: false)
    /// Bytes of one read: 7 ms at 10 Mbit/s.
    private static let chunk = 8_192

    @Option var port: UInt16
    @Option var targetAddress: String
    @Option var targetPort: UInt16
    @Option var megabits: Double

    func run() throws {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0, withAddress("0.0.0.0", port, { bind(descriptor, $0, $1) }) == 0,
            listen(descriptor, 128) == 0
        else { throw ExitCode.failure }
        let parent = getppid()
        Thread.detachNewThread {
            while getppid() == parent { Clock.sleep(until: Clock.seconds + 1) }
            Foundation.exit(0)
        }
        while true {
            let near = accept(descriptor, nil, nil)
            guard near >= 0 else { continue }
            Thread.detachNewThread { serve(Connection(descriptor: near)) }
        }
    }

    private func serve(_ near: Connection) {
        defer { near.close() }
        guard let far = Connection(targetAddress, port: targetPort, waits: true) else { return }
        defer { far.close() }
        far.setReceiveTimeout(seconds: 0)
        let isDone = DispatchSemaphore(value: 0)
        Thread.detachNewThread {
            pass(far, to: near)
            isDone.signal()
        }
        pass(near, to: far)
        isDone.wait()
    }

    private func pass(_ source: Connection, to sink: Connection) {
        var bucket = TokenBucket(megabitsPerSecond: megabits)
        var bytes = [UInt8](repeating: 0, count: Self.chunk)
        while true {
            let count = bytes.withUnsafeMutableBytes { all in
                all.baseAddress.map { source.receive($0, all.count) } ?? -1
            }
            if count == 0 { return sink.finishSending() }
            guard count > 0 else { break }
            Clock.sleep(until: bucket.pass(bytes: count, at: Clock.seconds))
            guard sink.sendAll(Array(bytes[..<count])) else { break }
        }
        source.cut()
        sink.cut()
    }
}
