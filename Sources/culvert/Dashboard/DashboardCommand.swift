import ArgumentParser
import HTTP1
import NIOCore
import NIOPosix
import Tunnel

/// `culvert dashboard`: serves a page about a running server or client.
struct DashboardCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "dashboard",
        abstract: "Serves a page about a running server or client on loopback, and prints its address.",
        discussion:
            "The page reads the admin socket, so that the role itself gets no new port. The address works once, for one "
            + "browser. From another machine, forward the port: ssh -t -L 9000:127.0.0.1:9000 HOST culvert dashboard "
            + "--listen 127.0.0.1:9000. With -t the command ends together with ssh."
    )

    /// Connections of the browser at a time, and the time for a request. A browser has six to one host.
    static let limits = AdminLimits(connections: 64, timeout: .seconds(30))

    @OptionGroup var admin: AdminSocketOption

    @Option(help: "Where to serve the page, a loopback address and a port.")
    var listen = "127.0.0.1:0"

    func validate() throws {
        guard case .tcp? = ListenAddress(listen), ListenAddress(listen)?.isLocal == true else {
            throw ValidationError(
                "--listen \(listen): expected a loopback address and a port, for instance 127.0.0.1:9000; from another "
                    + "machine, forward that port with ssh -L"
            )
        }
    }

    func run() async throws {
        let client = AdminClient(path: try admin.path())
        // A mistake in the address of the socket is told at once, and not on the page.
        _ = try await client.ask("GET", "/status?session=0")
        let (address, channel) = try await open(client)
        Output.line("dashboard http://\(address)")
        try await channel.get()
    }

    /// Listens, on one event loop.
    ///
    /// - Returns: the address with its secret, and the end of the listener.
    private func open(_ client: AdminClient) async throws -> (address: String, ended: EventLoopFuture<Void>) {
        guard let address = ListenAddress(listen) else { throw Failure(.usage, "--listen \(listen)") }
        let loop = MultiThreadedEventLoopGroup.singleton.any()
        let late = loop.makePromise(of: DashboardRouter.self)
        do {
            let listener = try await AdminListener.open(address, on: loop, limits: { Self.limits }) { head in
                // The router needs the port, which is known once the listener has it.
                .later { await Self.answer(head, late.futureResult, client) }
            }
            guard case .tcp(_, let port) = listener.address else { throw Failure(.bug, "no port") }
            let access = DashboardAccess(port: port)
            late.succeed(DashboardRouter(port: port, access: access))
            return ("\(listener.address)/#\(access.secret)", listener.ended)
        } catch {
            late.fail(error)
            throw Failure(.configuration, "cannot listen on \(address): \(address.bindFailureReason(error))")
        }
    }

    private static func answer(
        _ head: RequestHead,
        _ router: EventLoopFuture<DashboardRouter>,
        _ client: AdminClient
    ) async -> AdminResponse {
        guard let router = try? await router.get() else { return .text(.serverError, "the dashboard has not started") }
        switch router.route(head) {
        case .answer(let response): return response
        case .ask(let request):
            let (method, target) = request.command
            do throws(Failure) {
                let answer = try await client.ask(method, target)
                return router.secured(AdminResponse(.ok, contentType: "application/json", body: Array(answer)))
            } catch {
                return router.secured(.text(.badGateway, error.description))
            }
        }
    }
}
