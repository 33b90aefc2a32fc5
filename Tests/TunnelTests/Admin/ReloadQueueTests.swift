import TestSupport
import Testing

@testable import TunnelAdmin

@Suite("Reloads")
struct ReloadQueueTests {
    private struct Mistake: Error {}

    @Test("An operator gets the outcome of the configuration that was read")
    func outcome() async throws {
        let queue = ReloadQueue<Int>(read: { 7 })
        let running = Task {
            await queue.run(AsyncStream { $0.finish() }) { ReloadResult(changes: ["number \($0)"]) }
        }
        #expect(await queue.reload { _ in "" } == ReloadResult(changes: ["number 7"]))
        running.cancel()
        await running.value
    }

    @Test("A configuration that cannot be read changes nothing, and one that is missing is not read")
    func mistakes() async {
        let queue = ReloadQueue<Int>(read: { throw Mistake() })
        #expect(await queue.reload { "\(type(of: $0))" } == ReloadResult(problem: "Mistake"))
        #expect(await ReloadQueue<Int>(read: nil).reload { _ in "" } == nil)
    }

    @Test("A reload beside the end of the role gets an answer")
    func stopping() async {
        let queue = ReloadQueue<Int>(read: { 1 })
        async let waiting = queue.reload { _ in "" }
        await queue.stop()
        #expect(await waiting?.problem == "it is stopping")
        #expect(await queue.reload { _ in "" }?.problem == "it is stopping")
    }
}
